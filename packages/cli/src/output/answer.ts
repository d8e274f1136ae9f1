import type { Command } from 'commander';
import { type CommandContext, optionsOf } from '../command-context.ts';
import { formatTable, printable } from './table.ts';
import { print, printJson } from './terminal.ts';

/** Answers what a command did or found: `value` to programs, `text` to people. */
export function answer(context: CommandContext, command: Command, value: unknown, text: string): void {
  if (optionsOf(command).json) printJson(context.terminal, value);
  else print(context.terminal, text);
}

/** Answers rows: as they are to programs, as a table to people. */
export function answerRows<T>(
  context: CommandContext,
  command: Command,
  rows: readonly T[],
  head: readonly string[],
  cells: (row: T) => readonly string[],
): void {
  if (optionsOf(command).json) printJson(context.terminal, rows);
  else print(context.terminal, formatTable(head, rows.map(cells)));
}

/** Answers one thing: to people a line a member, without those that are not set. */
export function answerOne(
  context: CommandContext,
  command: Command,
  value: Readonly<Record<string, unknown>>,
  shown: Readonly<Record<string, string | undefined>>,
): void {
  const lines = Object.entries(shown).flatMap(([label, text]) => (text ? [labelledLine(label, text)] : []));
  answer(context, command, value, lines.join('\n'));
}

function labelledLine(label: string, text: string): string {
  return `${label.padEnd(16)} ${printable(text)}`;
}
