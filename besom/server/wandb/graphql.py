"""GraphQL requests of the wandb client: parsed and executed by graphql-core over schema.graphql and our resolvers.

Every field of Query and Mutation is a `Root` that names its permission; without one the schema is not built. What below
them is answered, a resolver gives as dictionaries, with functions where finding a value costs something. Documents are not
validated: clients of many versions ask for fields that we do not have, and get the rest. Knows no noun.

A fault of the caller is an answer 200 with `errors`, which that client shows and does not repeat; a state of the server
(starting, locked, full) is raised, because only a status such as 503 makes it come again: for a quarter of an hour.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from importlib.resources import files
from itertools import count
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    InlineFragmentNode,
    NamedTypeNode,
    NameNode,
    OperationDefinitionNode,
    Undefined,
    VariableDefinitionNode,
    Visitor,
    build_schema,
    execute_sync,
    parse,
    visit,
)

from besom.core.errors import UsageError
from besom.hub.access import permit
from besom.server.route import Permission
from besom.server.wandb import words

log = logging.getLogger("besom.server.wandb")

TOKENS, FIELDS, DEPTH = 5000, 2000, 30
"""Most tokens of a document, fields in it with its fragments in place, and levels; that client's have a tenth."""
Resolver = Callable[..., Any]


class Root(NamedTuple):
    """A field of Query or Mutation. `call(context, **arguments)`; a mutation's input arrives as its keyword arguments
    without those that are null."""

    name: str
    permission: Permission
    call: Resolver


class Api:
    """The schema with its resolvers. Raises RuntimeError for a root field without a resolver or permission."""

    def __init__(self, roots: Iterable[Root]) -> None:
        self.roots = {root.name: root for root in roots}
        self.schema = _schema()
        self._fields = {**_fields(self.schema.query_type), **_fields(self.schema.mutation_type)}
        for name, field in self._fields.items():
            root = self.roots.get(name)
            if root is None or not isinstance(root.permission, Permission):
                raise RuntimeError(f"the GraphQL field {name} declares no permission: add one of {list(Permission)}")
            field.resolve = _resolve(root)

    def answer(self, context: Any, request: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to {query, variables}. Raises what is no fault of the caller."""
        try:
            document = _document(str(request.get("query") or ""))
            self._check(document)
        except (GraphQLError, UsageError, RecursionError) as error:
            return _refused(getattr(error, "message", None) or str(error))
        done = execute_sync(
            self.schema, document, context_value=context, variable_values=words.mapping(request.get("variables"))
        )
        for fault in done.errors or ():
            cause = fault.original_error
            if isinstance(cause, (TypeError, ValueError, LookupError, AttributeError)):
                log.error("a question of the wandb client failed", exc_info=cause)  # as it would again
            elif cause is not None and not isinstance(cause, (UsageError, GraphQLError)):
                raise cause
        reply: dict[str, Any] = {"data": done.data}
        if done.errors:
            reply["errors"] = [{"message": fault.message} for fault in done.errors]
        return reply

    def _check(self, document: DocumentNode) -> None:
        for operation in document.definitions:
            if isinstance(operation, OperationDefinitionNode):
                for field in operation.selection_set.selections:
                    name = field.name.value if isinstance(field, FieldNode) else ""
                    if name and name not in self._fields and not name.startswith("__"):
                        raise UsageError(f"besom does not answer {name} of the wandb client yet; see docs/wandb.md")


def _fields(kind: Any) -> dict[str, Any]:
    return dict(kind.fields)


def _schema() -> GraphQLSchema:
    return build_schema(files("besom.server.wandb").joinpath("schema.graphql").read_text(encoding="utf-8"))


def _resolve(root: Root) -> Resolver:
    def resolve(parent: Any, info: Any, **arguments: Any) -> Any:
        permit(info.context.hub.who, root.permission)
        arguments.update(words.mapping(arguments.pop("input", None)))
        return root.call(info.context, **{k: v for k, v in arguments.items() if v is not None and v is not Undefined})

    return resolve


@lru_cache(maxsize=256)
def _document(query: str) -> DocumentNode:
    """The parsed document, without the names of types that we do not have."""
    document = parse(query, no_location=True, max_tokens=TOKENS)
    parts = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    left = count(FIELDS, -1)

    def walk(selections: Iterable[Any], depth: int) -> None:
        for item in selections:
            if depth > DEPTH or next(left) <= 0:
                raise UsageError(f"a query has at most {FIELDS} fields, {DEPTH} inside each other")
            inner = parts.get(item.name.value) if isinstance(item, FragmentSpreadNode) else item
            if inner is not None and inner.selection_set is not None:
                walk(inner.selection_set.selections, depth + 1)

    for operation in document.definitions:
        if isinstance(operation, OperationDefinitionNode):
            walk(operation.selection_set.selections, 0)
    fitted: DocumentNode = visit(document, _Fit(parts))
    return fitted


_KNOWN = frozenset(_schema().type_map)


class _Fit(Visitor):
    """Gives variables of unknown types the type JSON, and lets fragments on unknown types hold where they are spread."""

    def __init__(self, parts: Mapping[str, FragmentDefinitionNode]) -> None:
        super().__init__()
        self._parts = parts

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: Any) -> InlineFragmentNode | None:
        part = self._parts.get(node.name.value)
        if part is None or part.type_condition.name.value in _KNOWN:
            return None
        return InlineFragmentNode(selection_set=part.selection_set, directives=node.directives)

    def enter_variable_definition(self, node: VariableDefinitionNode, *_: Any) -> VariableDefinitionNode | None:
        kind: Any = node.type
        while not isinstance(kind, NamedTypeNode):
            kind = kind.type
        if kind.name.value in _KNOWN:
            return None
        json = NamedTypeNode(name=NameNode(value="JSON"))
        return VariableDefinitionNode(
            variable=node.variable, type=json, default_value=node.default_value, directives=node.directives
        )


def _refused(message: str) -> dict[str, Any]:
    return {"data": None, "errors": [{"message": message}]}
