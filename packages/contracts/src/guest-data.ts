/** Bytes that programs in a guest find by name, as they were when its machine started, without any device of theirs. */
export interface GuestData {
  /** Up to 50 letters, digits, `.`, `_` and `-`; unique in the machine. */
  readonly name: string;
  /** File with the bytes, absolute path; read at the start, and again when the machine goes on from a memory image. */
  readonly path: string;
}
