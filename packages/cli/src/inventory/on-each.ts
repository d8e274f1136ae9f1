import type { Command } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../command-context.ts';
import type { ServerSession } from '../connection/server-session.ts';
import { CliError } from '../errors.ts';
import { describeFailure } from '../failure.ts';
import { note, print, printJson } from '../output/terminal.ts';
import type { Inventory, InventoryObject } from './inventory.ts';
import { loadInventory } from './load-inventory.ts';
import { withName } from './run-task.ts';

export interface EachWork<T extends InventoryObject> {
  readonly find: (inventory: Inventory, session: ServerSession) => readonly T[] | Promise<readonly T[]>;
  /** What is said of each that went well: `powered off`. */
  readonly done: string;
  readonly act: (session: ServerSession, object: T, inventory: Inventory) => Promise<unknown>;
}

/**
 * Does the same to several objects, one beside the other, and tells how each went. Throws where any failed: the failure
 * itself of the only one.
 */
export async function onEach<T extends InventoryObject>(
  command: Command,
  context: CommandContext,
  { find, done, act }: EachWork<T>,
): Promise<void> {
  const { json } = optionsOf(command);
  const outcomes = await onServer(command, context, async (session) => {
    const inventory = await loadInventory(session);
    const objects = await find(inventory, session);
    return Promise.all(
      objects.map(async (object) => {
        const { name } = object;
        try {
          await act(session, object, inventory);
          return { name };
        } catch (error) {
          context.signal.throwIfAborted();
          return { name, failure: withName(name, error) };
        }
      }),
    );
  });
  const messages = await Promise.all(
    outcomes.map(async ({ name, failure }) => {
      if (failure === undefined) return { name };
      const { message, next } = await describeFailure(failure);
      return { name, error: message, next };
    }),
  );
  if (json) printJson(context.terminal, messages);
  const [only] = outcomes;
  if (outcomes.length === 1 && only?.failure !== undefined) throw only.failure;
  for (const { name, error, next } of messages) {
    if (error !== undefined) note(context.terminal, `hypo: ${error}${next === undefined ? '' : `\n${next}`}`);
    else if (!json) print(context.terminal, `${name}: ${done}`);
  }
  const failed = messages.filter(({ error }) => error !== undefined).length;
  if (failed > 0) throw new CliError('failed', `${failed} of ${outcomes.length}: not ${done}.`);
}
