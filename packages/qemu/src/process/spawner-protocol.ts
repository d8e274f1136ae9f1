import type { EngineRecord } from './identity.ts';

/** What the driver asks of its spawner process, one JSON object a line. */
export type SpawnerRequest = { readonly id: number } & (
  | {
      readonly kind: 'spawn';
      readonly command: readonly string[];
      /** Takes both outputs of the engine, appended. */
      readonly logPath: string;
      /** Written, with pid and start time added, before the answer. */
      readonly record: EngineRecord;
      readonly runDirectory: string;
    }
  /** Takes what an engine writes to a unix socket into a new file, and makes it durable. */
  | {
      readonly kind: 'drain';
      readonly socketPath: string;
      readonly path: string;
      /** Base64, written first. */
      readonly header: string;
      /** Written when all is on disk: `{"bytes":N}` or `{"error":"…"}`. */
      readonly markerPath: string;
    }
  /** Runs a program to its end; the spawner's own end is its end too. */
  | { readonly kind: 'run'; readonly command: readonly string[] }
  /**
   * Has a process of its own hold a lock until nobody has the named pipe open for writing any more, which somebody has
   * now. Answers once it is held; `locked` where another has it.
   */
  | { readonly kind: 'keep'; readonly lockPath: string; readonly pipePath: string }
  /** Starts a process through which limited adapters' frames go; answers once it listens. */
  | { readonly kind: 'shape'; readonly socketPath: string }
  /** Ends a program that runs. */
  | { readonly kind: 'stop'; readonly request: number }
  /** Sends a file, from `offset` on, into a unix socket. */
  | { readonly kind: 'feed'; readonly socketPath: string; readonly path: string; readonly offset: number }
);

export type SpawnerReply =
  | { readonly id: number; readonly kind: 'done' }
  | { readonly id: number; readonly kind: 'locked' }
  | { readonly id: number; readonly kind: 'failed'; readonly message: string }
  | { readonly id: number; readonly kind: 'spawned'; readonly pid: number; readonly startTime: string }
  /** Follows `spawned`. */
  | { readonly id: number; readonly kind: 'said'; readonly text: string }
  | {
      readonly id: number;
      readonly kind: 'exited';
      readonly code: number | null;
      readonly signal: string | null;
      /** The program's last words, of one that was run. */
      readonly words?: string;
    };
