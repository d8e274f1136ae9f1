import type { CommandDefinition } from '../../command-context.ts';
import { defineChange } from './vm-change.ts';
import { defineClone } from './vm-clone.ts';
import { defineKeystrokes, defineScreenshot } from './vm-console.ts';
import { defineVmDisk } from './vm-disk.ts';
import { defineInstantClone } from './vm-instant-clone.ts';
import { defineRelocate } from './vm-relocate.ts';
import { defineMarks } from './vm-template.ts';

/** `hypo vm`: what is made of machines as wholes, and their screens and keyboards. */
export const defineVm: CommandDefinition = (program, context) => {
  const vm = program
    .command('vm')
    .description(
      'change, clone and move machines, make templates of them, type on their keyboards, picture their screens',
    )
    .addHelpText(
      'after',
      `
Examples:
  hypo vm change web --cpus 4 --memory 8192
  hypo vm disk create web --size 10G
  hypo vm clone web web2 --on
  hypo vm clone web desk1 --snapshot base --link
  hypo vm markastemplate golden
  hypo vm clone golden web3 --pool production
  hypo vm relocate web --datastore fast
  hypo vm keystrokes web -s 'root' --return
  hypo vm screenshot web screen.png`,
    );
  defineChange(vm, context);
  defineVmDisk(vm, context);
  defineClone(vm, context);
  defineInstantClone(vm, context);
  defineMarks(vm, context);
  defineRelocate(vm, context);
  defineKeystrokes(vm, context);
  defineScreenshot(vm, context);
};
