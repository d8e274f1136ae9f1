/** Something wrong with a disk that is read all the same. */
export interface DiskWarning {
  /** File that it is about. */
  readonly file: string;
  readonly reason: string;
}

export type OnWarning = (warning: DiskWarning) => void;
