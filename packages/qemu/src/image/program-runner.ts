/** Runs a program to its end, as `Spawner.run`. */
export type ProgramRunner = (
  command: readonly string[],
  options: { readonly signal?: AbortSignal; readonly onOutput?: (text: string) => void },
) => Promise<void>;
