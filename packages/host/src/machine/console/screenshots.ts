import { open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RunningMachine } from '@hypostyle/contracts';
import { partialName, renameNew, splitPath } from '@hypostyle/services';
import { type Call, fault, type ManagedObjectReference } from '@hypostyle/vim';
import type { HostCore } from '../../host-core.ts';
import { listFiles } from '../files/list-files.ts';
import { invalidPowerState } from '../power/power-work.ts';
import type { MachineRecord } from '../record/machine-record.ts';
import { encodePng, resized } from './png.ts';

/** Most pixels that a picture is made larger or smaller to. */
const maxPixels = 16 << 20;
const mostNames = 100_000;

export interface ScreenshotWork {
  create(call: Call): Promise<ManagedObjectReference<'Task'>>;
  /** The screen as PNG, in another size where one is given. */
  png(machine: MachineRecord, size: { readonly width?: number; readonly height?: number }): Promise<Buffer>;
}

/** Pictures of machines' screens: as files beside their `.vmx`, and at once. */
export function defineScreenshotWork(core: HostCore): ScreenshotWork {
  const run = async (_task: unknown, { id }: { readonly id: string }) => {
    const machine = core.machines.get({ type: 'VirtualMachine', value: id });
    const picture = await encodePng(await runningEngine(core, machine).captureScreen());
    const path = await store(machine, picture);
    const files = await listFiles(machine.datastore, machine.vmxPath, machine).catch(() => machine.files);
    core.machines.change(id, { files });
    return machine.datastore.format(path);
  };
  const work = core.tasks.define<{ readonly id: string }>('VirtualMachine.createScreenshot', {
    method: 'CreateScreenshot_Task',
    run,
    resume: run,
  });
  return {
    create: (call) => {
      const machine = core.machines.get(call.self.ref);
      runningEngine(core, machine);
      return work(call, { input: { id: machine.id } });
    },
    png: async (machine, { width, height }) => {
      const screen = await runningEngine(core, machine).captureScreen();
      const wide = width ?? (height === undefined ? screen.width : Math.ceil((screen.width * height) / screen.height));
      const high = height ?? (width === undefined ? screen.height : Math.ceil((screen.height * width) / screen.width));
      if (wide * high > maxPixels) throw fault('InvalidArgument', {}, 'The picture would be too large.');
      return encodePng(await resized(screen, wide, high));
    },
  };
}

/** The engine of a machine that is on. Throws InvalidPowerState, InvalidState. */
export function runningEngine(core: HostCore, machine: MachineRecord): RunningMachine {
  if (machine.powerState !== 'poweredOn') throw invalidPowerState(machine, 'poweredOn');
  const engine = core.machines.engine(machine.id);
  if (engine === undefined) throw fault('InvalidState', {}, machine.problem ?? 'The engine cannot be reached.');
  return engine;
}

/** Writes a picture under the next free name, whole; answers its path in the datastore. */
async function store({ datastore, vmxPath }: MachineRecord, picture: Buffer): Promise<string> {
  const { folder, name } = splitPath(vmxPath);
  const base = name.replace(/\.vmx$/i, '');
  const directory = dirname(datastore.absolute(vmxPath));
  const temporary = join(directory, partialName());
  try {
    const file = await open(temporary, 'wx', 0o644);
    try {
      await file.writeFile(picture);
      await file.sync();
    } finally {
      await file.close();
    }
    for (let number = 0; number < mostNames; number += 1) {
      const free = `${base}-${number}.png`;
      try {
        await renameNew(temporary, join(directory, free), 'file');
        return folder === '' ? free : `${folder}/${free}`;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
    }
    throw fault('FileFault', { file: datastore.format(vmxPath) }, 'The machine has too many pictures of its screen.');
  } finally {
    await rm(temporary, { force: true });
  }
}
