// Starts one machine, prints its process id, and stays. The conformance suite runs this in a process of its own, and
// kills it.
import { readFile } from 'node:fs/promises';
import type { StartRequest } from '../hypervisor.ts';
import { importHypervisorDriver } from './hypervisor-driver.ts';
import type { OwnerWork } from './hypervisor-owner-work.ts';

const [, , driver = '', folder = '', requestPath = ''] = process.argv;
const hypervisor = await (await importHypervisorDriver(new URL(driver))).open(folder);
const { request, suspendPath, commit, hardware, snapshot } = JSON.parse(
  await readFile(requestPath, 'utf8'),
) as OwnerWork & {
  readonly request: StartRequest;
};
const machine = (await hypervisor.adopt(request)) ?? (await hypervisor.start(request));
process.stdout.write(`${machine.pid}\n`);
if (suspendPath !== undefined) {
  machine.subscribe((event) => {
    if (event.kind === 'state') process.stdout.write('suspending\n');
  });
  await machine.suspend(suspendPath);
}
if (commit !== undefined) {
  await machine.commitLayer({
    ...commit,
    onMerged: async () => {
      process.stdout.write('merged\n');
      await new Promise(() => {});
    },
  });
}
if (hardware !== undefined) {
  process.stdout.write('changing\n');
  await machine.changeHardware(hardware);
}
if (snapshot !== undefined) {
  machine.subscribe((event) => {
    if (event.kind === 'state') process.stdout.write('standing still\n');
  });
  await machine.snapshotMachine(snapshot);
}
setInterval(() => {}, 1 << 30);
