"""The YAML that a sweep.yaml is written in: text in, plain data or an error with line and column out.

It is YAML as PyYAML reads it, but for numbers, which are those of YAML 1.2: ``1e-5`` is one, which PyYAML alone would read
as text. Dates stay text, and a key that stands twice is told. The hub and the agents' public face both read such files.
The one module of core that needs a library; nothing else in core imports it.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from besom.core.errors import ConfigError

_FLOAT = re.compile(
    r"""^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?
        |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
        |[-+]?\.(?:inf|Inf|INF)
        |\.(?:nan|NaN|NAN))$""",
    re.X,
)


def load(text: str, name: str, warnings: list[str]) -> Any:
    """The data of a YAML text; duplicate keys add a warning. Raises ConfigError with line and column."""
    try:
        loader = _Loader(text)
        loader.name, loader.warnings = name, warnings
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}, line {mark.line + 1}, column {mark.column + 1}" if mark else name
        raise ConfigError(_sentence(error), where=place) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"this is not YAML: {str(error).splitlines()[0]}", where=name) from None
    except (RecursionError, OverflowError, ValueError) as error:
        raise ConfigError(f"this YAML cannot be read: {error}", where=name) from None


class _Loader(yaml.SafeLoader):
    """SafeLoader with the floats of YAML 1.2, dates left as text, and a word about keys that stand twice."""

    warnings: list[str]

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    self.warnings.append(
                        f'the key "{key.value}" stands twice (line {key.start_mark.line + 1}); the later one counts'
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, rule) for tag, rule in rules if not tag.endswith((":float", ":timestamp"))]
    for letter, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def _sentence(error: yaml.MarkedYAMLError) -> str:
    """What PyYAML found, in one line, with a hint for the commonest slip."""
    problem = error.problem or error.context or "this is not YAML"
    if "'\\t'" in problem:
        return "a line starts with a tab, and YAML is indented by spaces only"
    context = f"{error.context}, " if error.context and error.problem else ""
    return f"{context}{problem}"
