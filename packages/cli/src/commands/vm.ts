import type { CommandDefinition } from '../command-context.ts';
import { defineClone } from './vm-clone.ts';
import { defineMarks } from './vm-template.ts';

/** `hypo vm`: what is made of machines as wholes. */
export const defineVm: CommandDefinition = (program, context) => {
  const vm = program
    .command('vm')
    .description('clone machines, and make templates of them')
    .addHelpText(
      'after',
      `
Examples:
  hypo vm clone web web2 --on
  hypo vm clone web desk1 --snapshot base --link
  hypo vm markastemplate golden
  hypo vm clone golden web3 --pool production`,
    );
  defineClone(vm, context);
  defineMarks(vm, context);
};
