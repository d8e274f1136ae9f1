import type { CommandDefinition } from '../command-context.ts';
import { defineClone } from './vm-clone.ts';
import { defineKeystrokes, defineScreenshot } from './vm-console.ts';
import { defineMarks } from './vm-template.ts';

/** `hypo vm`: what is made of machines as wholes, and their screens and keyboards. */
export const defineVm: CommandDefinition = (program, context) => {
  const vm = program
    .command('vm')
    .description('clone machines, make templates of them, type on their keyboards, take pictures of their screens')
    .addHelpText(
      'after',
      `
Examples:
  hypo vm clone web web2 --on
  hypo vm clone web desk1 --snapshot base --link
  hypo vm markastemplate golden
  hypo vm clone golden web3 --pool production
  hypo vm keystrokes web -s 'root' --return
  hypo vm screenshot web screen.png`,
    );
  defineClone(vm, context);
  defineMarks(vm, context);
  defineKeystrokes(vm, context);
  defineScreenshot(vm, context);
};
