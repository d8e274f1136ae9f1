import type { Operation } from '../operations/operation.ts';
import type { HttpMethod, Style } from './style.ts';

/** How one operation is reached in one style. */
export interface Route {
  readonly operation: Operation;
  readonly style: Style;
  readonly method: HttpMethod;
  /** With the prefix, such as `/api/vcenter/vm/{vm}`. */
  readonly path: string;
  readonly action?: string;
  /** Member of the body that carries the operation's. */
  readonly wrap: string | null;
}

interface Node {
  readonly literals: Map<string, Node>;
  parameter?: { readonly prefix: string; readonly name: string; readonly node: Node };
  /** By method and action, the empty action where there is none. */
  readonly routes: Map<string, Route>;
}

export interface Match {
  readonly route: Route;
  readonly path: Readonly<Record<string, string>>;
}

/** Identifiers are shorter; what is longer is nobody's. */
const longestSegment = 512;
const mostSegments = 16;

/** Every spelling of an operation, the documented one first. */
export function routesOf(operation: Operation): Route[] {
  const { method, path, action, rest } = operation;
  const routes: Route[] = [
    { operation, style: 'api', method, path: `/api${path}`, ...(action === undefined ? {} : { action }), wrap: null },
  ];
  if (rest === undefined) return routes;
  const old = { operation, style: 'rest', method: rest.method ?? method } as const;
  const wrap = rest.wrap === undefined ? 'spec' : rest.wrap;
  const oldPath = `/rest${rest.path ?? path}`;
  if (action !== undefined && rest.action === undefined) {
    // `/power/start` is how it was written; `/power?action=start` is understood as well.
    routes.push({ ...old, path: `${oldPath}/${action}`, wrap });
    routes.push({ ...old, path: oldPath, action, wrap });
  } else {
    routes.push({ ...old, path: oldPath, wrap, ...(rest.action === undefined ? {} : { action: rest.action }) });
  }
  return routes;
}

/** Finds the operation of a request by its path, method and action. */
export class Router {
  readonly routes: readonly Route[];
  readonly #root: Node = emptyNode();

  constructor(operations: readonly Operation[]) {
    this.routes = operations.flatMap(routesOf);
    for (const route of this.routes) this.#add(route);
  }

  /** Undefined where no path fits; `routes` is what the path has, when its method or action is another. */
  find(method: string, path: string, action: string | undefined): Match | undefined {
    const segments = segmentsOf(path);
    if (segments === undefined) return undefined;
    const parameters: Record<string, string> = Object.create(null);
    const route = find(this.#root, segments, 0, keyOf(method, action), parameters);
    return route === undefined ? undefined : { route, path: parameters };
  }

  #add(route: Route): void {
    let node = this.#root;
    for (const segment of route.path.split('/').slice(1)) node = step(node, segment, route.path);
    const key = keyOf(route.method, route.action);
    if (node.routes.has(key)) throw new Error(`two operations at ${key} ${route.path}`);
    node.routes.set(key, route);
  }
}

function step(node: Node, segment: string, path: string): Node {
  const brace = /^([^{}]*)\{([a-z_]+)\}$/.exec(segment);
  if (brace === null) {
    let next = node.literals.get(segment);
    if (next === undefined) {
      next = emptyNode();
      node.literals.set(segment, next);
    }
    return next;
  }
  const [, prefix = '', name = ''] = brace;
  node.parameter ??= { prefix, name, node: emptyNode() };
  if (node.parameter.prefix !== prefix || node.parameter.name !== name) throw new Error(`two names at ${path}`);
  return node.parameter.node;
}

/** A literal goes before a parameter; where it leads nowhere the parameter is tried. */
function find(
  node: Node,
  segments: readonly string[],
  at: number,
  key: string,
  parameters: Record<string, string>,
): Route | undefined {
  const segment = segments[at];
  if (segment === undefined) return node.routes.get(key);
  const literal = node.literals.get(segment);
  const found = literal === undefined ? undefined : find(literal, segments, at + 1, key, parameters);
  if (found !== undefined) return found;
  const { parameter } = node;
  if (parameter === undefined || !segment.startsWith(parameter.prefix)) return undefined;
  const value = segment.slice(parameter.prefix.length);
  if (value === '') return undefined;
  const route = find(parameter.node, segments, at + 1, key, parameters);
  if (route !== undefined) parameters[parameter.name] = value;
  return route;
}

function segmentsOf(path: string): string[] | undefined {
  const raw = path.replace(/\/$/, '').split('/').slice(1);
  if (raw.length > mostSegments) return undefined;
  const segments: string[] = [];
  for (const part of raw) {
    try {
      segments.push(decodeURIComponent(part));
    } catch {
      return undefined;
    }
    if (part.length > longestSegment) return undefined;
  }
  return segments;
}

function keyOf(method: string, action = ''): string {
  return `${method} ${action}`;
}

function emptyNode(): Node {
  return { literals: new Map(), routes: new Map() };
}
