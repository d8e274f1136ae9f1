/** A server under measurement, in a process of its own. */
export interface Subject {
  readonly pid: number;
  readonly address: { readonly url: string; readonly userName: string; readonly password: string };
  /** Lets garbage go, where that can be asked for, so that memory can be compared. */
  settle(): Promise<void>;
  close(): Promise<void>;
}
