import type { GuestProgramState, RunningMachine } from '@hypostyle/contracts';
import { data, type GuestProcessInfo } from '@hypostyle/vim';

interface Started {
  readonly info: Pick<GuestProcessInfo, 'name' | 'owner' | 'cmdLine' | 'startTime'>;
  /** The run of the machine: another one has other processes. */
  readonly bootTime: string | undefined;
  end: { readonly at: number; readonly exitCode: number } | undefined;
}

/** Milliseconds for which the end of a program is told, as the interface has it. */
const endKept = 5 * 60_000;
const most = 1_000;

/** Programs that were started in guests here: what became of them is known when nobody else knows any more. */
export class StartedPrograms {
  readonly #programs = new Map<string, Map<number, Started>>();

  add(machine: string, bootTime: string | undefined, pid: number, info: Started['info']): void {
    const programs = this.#programs.get(machine) ?? new Map<number, Started>();
    this.#programs.set(machine, programs);
    programs.delete(pid);
    programs.set(pid, { info, bootTime, end: undefined });
    for (const oldest of programs.keys()) {
      if (programs.size <= most) break;
      programs.delete(oldest);
    }
  }

  /** All that are told of, as they are now; `pids`: those alone, also ones that an earlier daemon started. */
  async look(
    engine: RunningMachine,
    machine: string,
    bootTime: string | undefined,
    pids: readonly number[],
  ): Promise<GuestProcessInfo[]> {
    const programs = this.#programs.get(machine) ?? new Map<number, Started>();
    const now = Date.now();
    for (const [pid, { end, bootTime: run }] of programs) {
      if (run !== bootTime || (end !== undefined && now - end.at > endKept)) programs.delete(pid);
    }
    for (const [pid, program] of programs) {
      if (program.end !== undefined || (pids.length > 0 && !pids.includes(pid))) continue;
      const state = await engine.guestProgram(pid);
      // The agent was started again, and has forgotten it.
      if (state === undefined) programs.delete(pid);
      else if (!state.running) program.end = { at: Date.now(), exitCode: exitCodeOf(state) };
    }
    for (const pid of pids) {
      if (programs.has(pid)) continue;
      const state = await engine.guestProgram(pid);
      if (state === undefined) continue;
      const at = new Date().toISOString();
      this.add(machine, bootTime, pid, { name: '', owner: '', cmdLine: '', startTime: at });
      const added = this.#programs.get(machine)?.get(pid);
      if (added !== undefined && !state.running) added.end = { at: Date.now(), exitCode: exitCodeOf(state) };
    }
    if (programs.size === 0) this.#programs.delete(machine);
    return [...(this.#programs.get(machine) ?? programs)].flatMap(([pid, { info, end }]) =>
      pids.length > 0 && !pids.includes(pid)
        ? []
        : data('GuestProcessInfo', {
            pid,
            ...info,
            ...(end === undefined ? {} : { endTime: new Date(end.at).toISOString(), exitCode: end.exitCode }),
          }),
    );
  }

  forget(machine: string): void {
    this.#programs.delete(machine);
  }
}

/** A signal's as shells have it. */
function exitCodeOf({ exitCode, signal }: Exclude<GuestProgramState, { running: true }>): number {
  return exitCode ?? 128 + (signal ?? 0);
}
