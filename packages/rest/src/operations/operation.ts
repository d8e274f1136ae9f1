import type { HttpRequest } from '@hypostyle/vim';
import type { TObject, TSchema } from '@sinclair/typebox';
import type { CenterView } from '../calls/center-view.ts';
import type { HttpMethod, Style } from '../edge/style.ts';

/** Names between braces: `vm` of `/vcenter/vm/{vm}`. */
type PathNames<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | PathNames<Rest>
  : never;
export type PathParameters<Path extends string> = { readonly [Name in PathNames<Path>]: string };

type Input<S extends TSchema | undefined> = S extends TSchema ? S['static'] : undefined;
// biome-ignore lint/suspicious/noConfusingVoidType: it is what a handler returns.
export type Answer<S extends TSchema | undefined> = S extends TSchema ? S['static'] : void;

/** One call of an operation: its parts are checked against their schemas. */
export interface OperationCall<P = Readonly<Record<string, string>>, Q = unknown, B = unknown> {
  readonly view: CenterView;
  readonly path: P;
  readonly query: Q;
  readonly body: B;
  readonly style: Style;
  readonly request: HttpRequest;
}

/** How `/rest` spells an operation where it differs from `/api`. */
export interface OldSpelling {
  readonly method?: HttpMethod;
  readonly path?: string;
  /** Sent as `?~action=` or `?action=`; where the new one has an action and the old none is told, as a last segment. */
  readonly action?: string;
  /** Member of the body that carries what `/api` takes bare: `spec` unless told, null where both take the same. */
  readonly wrap?: string | null;
}

/** What the table says of one operation. */
export interface Operation {
  /** Such as `vcenter.vm.list`: also its operationId in the OpenAPI document. */
  readonly id: string;
  readonly summary: string;
  readonly method: HttpMethod;
  /** Below `/api`. */
  readonly path: string;
  readonly action?: string;
  /** Absent where only `/api` has it. */
  readonly rest?: OldSpelling;
  readonly query?: TObject;
  readonly body?: TSchema;
  /** May be left out of a request. */
  readonly bodyOptional?: boolean;
  readonly answer?: TSchema;
  /** 201 where `/api` creates something. */
  readonly created?: boolean;
  /** Answers who is not signed in, too. */
  readonly open?: boolean;
  run(call: OperationCall<never, never, never>): unknown;
}

/** An operation with the types of its parts taken from its path and schemas. */
export function operation<
  const Path extends string,
  Q extends TObject | undefined = undefined,
  B extends TSchema | undefined = undefined,
  A extends TSchema | undefined = undefined,
>(
  definition: Omit<Operation, 'path' | 'query' | 'body' | 'answer' | 'run'> & {
    readonly path: Path;
    readonly query?: Q;
    readonly body?: B;
    readonly answer?: A;
    run(call: OperationCall<PathParameters<Path>, Input<Q>, Input<B>>): Promise<Answer<A>> | Answer<A>;
  },
): Operation {
  return definition as unknown as Operation;
}
