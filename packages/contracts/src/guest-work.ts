/**
 * What the guest, the screen and the keyboard of a running machine are asked. Calls may come at any time, and several
 * at once; a driver takes turns where its channel has one lane.
 */
export interface GuestWork {
  /**
   * Runs a program in the guest as its administrator, and waits for its end. Rejects with `guest-agent-absent`,
   * `guest-unsupported` where the agent cannot, `guest-disabled` where it may not, `guest-refused` where the program
   * does not start, and `guest-late` when it did not end in time.
   */
  runInGuest(program: GuestProgram): Promise<GuestProgramEnd>;
  /** Starts a program in the guest as its administrator and answers its process id; rejects as `runInGuest` does. */
  startInGuest(program: GuestProgram): Promise<number>;
  /**
   * How a program that `startInGuest` started is, by this owner or an earlier one; undefined when the agent knows of
   * none. An agent tells an end once: the caller keeps it.
   */
  guestProgram(pid: number): Promise<GuestProgramState | undefined>;
  /** What the first screen shows now. Rejects with `screen-failed`. */
  captureScreen(): Promise<ScreenImage>;
  /** Presses keys one after another, each with its modifiers, as fast as guests take them; resolves after the last. */
  pressKeys(strokes: readonly KeyStroke[]): Promise<void>;
  /** Raises a non-maskable interrupt. */
  raiseNmi(): Promise<void>;
}

/** A program as the guest's system starts it: no shell is involved unless it is the program. */
export interface GuestProgram {
  /** Absolute path in the guest. */
  readonly path: string;
  /** Seen by everybody in the guest: no secrets. */
  readonly arguments: readonly string[];
  /** `NAME=value`; the agent's own environment when left out. */
  readonly environment?: readonly string[];
  /** Its standard input. At most 4 MiB. */
  readonly input?: Uint8Array;
  /** Milliseconds that `runInGuest` waits for its end; 60,000 unless told. */
  readonly timeoutMs?: number;
}

export interface GuestProgramEnd {
  /** Undefined when a signal ended it. */
  readonly exitCode: number | undefined;
  readonly signal: number | undefined;
  /** What it wrote, at most `maxGuestOutputBytes`; it may have written more. */
  readonly output: Buffer;
  readonly errors: Buffer;
}

/** Most bytes of a program's output that a driver hands on. */
export const maxGuestOutputBytes = 4 << 20;

export type GuestProgramState = { readonly running: true } | ({ readonly running: false } & GuestProgramEnd);

/** Rows from the top, pixels from the left: red, green, blue, a byte each. */
export interface ScreenImage {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

export interface KeyStroke {
  /** USB HID usage of the keyboard page (HID Usage Tables, section 10); one that the engine has no key for is left out. */
  readonly usage: number;
  /** Held down meanwhile, as usages too: 0xE0 (left control) to 0xE7. */
  readonly modifiers: readonly number[];
}

/** A mounted file system as the guest has it. */
export interface GuestFileSystem {
  readonly mountPoint: string;
  /** Such as `ext4`. */
  readonly type: string;
  readonly totalBytes?: number;
  readonly usedBytes?: number;
}

/** How the guest finds names. */
export interface GuestResolver {
  readonly servers: readonly string[];
  readonly searchDomains: readonly string[];
}

export interface GuestRoute {
  /** Address of the network; `0.0.0.0` or `::` with length 0 for what has no other way. */
  readonly network: string;
  readonly prefixLength: number;
  /** Undefined for a network that is on the link. */
  readonly gateway?: string;
  /** Name of the interface. */
  readonly device: string;
}
