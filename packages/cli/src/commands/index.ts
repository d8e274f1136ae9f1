import type { CommandDefinition } from '../command-context.ts';
import { defineHost } from './host.ts';

/** Every command, in the order of the help. */
export const commands: readonly CommandDefinition[] = [defineHost];
