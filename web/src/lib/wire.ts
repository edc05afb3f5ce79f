// The words of the API. `npm run types` makes openapi.ts from docs/openapi.json, which is made from besom/core/wire.py.
import type { components } from "./openapi";

type Schemas = components["schemas"];
export type AlertView = Schemas["AlertView"];
export type Alerts = Schemas["Alerts"];
export type Change = Schemas["Change"];
export type Channel = Schemas["Channel"];
export type Console = Schemas["Console"];
export type Curves = Schemas["Curves"];
export type GroupView = Schemas["GroupView"];
export type Groups = Schemas["Groups"];
export type Importance = Schemas["Importance"];
export type KeyView = Schemas["KeyView"];
export type Keys = Schemas["Keys"];
export type Line = Schemas["Line"];
export type MetricStat = Schemas["MetricStat"];
export type Problem = Schemas["Problem"];
export type ProjectView = Schemas["ProjectView"];
export type Projects = Schemas["Projects"];
export type RunPage = Schemas["RunPage"];
export type RunView = Schemas["RunView"];
export type Series = Schemas["Series"];
export type SweepView = Schemas["SweepView"];
export type Sweeps = Schemas["Sweeps"];
export type TrialView = Schemas["TrialView"];
