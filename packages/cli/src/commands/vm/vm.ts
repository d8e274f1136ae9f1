import type { CommandDefinition } from '../../command-context.ts';
import { defineInfo } from '../inventory/info.ts';
import { defineLs } from '../inventory/ls.ts';
import { defineDestroy } from '../inventory/rm.ts';
import { definePower } from './power.ts';
import { defineRegister } from './register.ts';
import { defineChange } from './vm-change.ts';
import { defineClone } from './vm-clone.ts';
import { defineKeystrokes, defineScreenshot } from './vm-console.ts';
import { defineCreate } from './vm-create.ts';
import { defineVmDisk } from './vm-disk.ts';
import { defineInstantClone } from './vm-instant-clone.ts';
import { defineIp } from './vm-ip.ts';
import { defineMigrate } from './vm-migrate.ts';
import { defineQuestion } from './vm-question.ts';
import { defineRelocate } from './vm-relocate.ts';
import { defineMarks } from './vm-template.ts';

/**
 * `hypo vm`: machines are made, changed and copied, with their screens and keyboards. What has a shorter name at the top
 * (`hypo ls`) is here too, where people who know other tools look for it.
 */
export const defineVm: CommandDefinition = (program, context) => {
  const vm = program
    .command('vm')
    .description(
      'make, change, clone and move machines, answer their questions, type on their keyboards, picture their screens',
    )
    .addHelpText(
      'after',
      `
Examples:
  hypo vm create web --cpus 2 --memory 2048 --disk 20G --iso '[datastore1] iso/debian.iso' --on
  hypo vm ip web
  hypo vm change web --cpus 4 --memory 8192
  hypo vm disk create web --size 10G
  hypo vm clone web web2 --on
  hypo vm clone web desk1 --snapshot base --link
  hypo vm markastemplate golden
  hypo vm clone golden web3 --pool production
  hypo vm relocate web --datastore fast
  hypo vm migrate web --host esx2
  hypo vm keystrokes web -s 'root' --return
  hypo vm screenshot web screen.png`,
    );
  defineCreate(vm, context);
  defineLs(vm, context);
  defineInfo(vm, context);
  definePower(vm, context);
  defineIp(vm, context);
  defineQuestion(vm, context);
  defineRegister(vm, context);
  defineDestroy(vm, context);
  defineChange(vm, context);
  defineVmDisk(vm, context);
  defineClone(vm, context);
  defineInstantClone(vm, context);
  defineMarks(vm, context);
  defineRelocate(vm, context);
  defineMigrate(vm, context);
  defineKeystrokes(vm, context);
  defineScreenshot(vm, context);
};
