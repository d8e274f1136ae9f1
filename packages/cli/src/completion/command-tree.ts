import type { Command } from 'commander';

/** Kinds of objects whose names the server is asked for while typing. */
export const namedArguments = ['machine', 'host', 'folder', 'pool', 'cluster', 'datacenter', 'vapp', 'object'] as const;
export type NamedArgument = (typeof namedArguments)[number];

/** What can be typed at a place of the tree of commands. */
export interface CompletionPlace {
  /** Words before it, such as `power on`; empty at the top. */
  readonly path: string;
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly { readonly flag: string; readonly description: string }[];
  /** What its arguments are: a kind of inventory object, files, or nothing that could be listed. */
  readonly argument: NamedArgument | 'file' | 'none';
}

/** Every place, from the definitions of the commands themselves. */
export function completionPlaces(program: Command): CompletionPlace[] {
  const places: CompletionPlace[] = [];
  const globals = optionsOf(program);
  const visit = (command: Command, path: readonly string[]) => {
    const commands = command.commands.filter((child) => !child.name().startsWith('_'));
    const argument = command.registeredArguments[0]?.name();
    places.push({
      path: path.join(' '),
      commands: commands.map((child) => ({ name: child.name(), description: child.description() })),
      options: command === program ? globals : [...optionsOf(command), ...globals],
      argument: argumentOf(argument),
    });
    for (const child of commands) visit(child, [...path, child.name()]);
  };
  visit(program, []);
  return places;
}

function optionsOf(command: Command): { flag: string; description: string }[] {
  return command.options.flatMap(({ long, description }) => (long ? [{ flag: long, description }] : []));
}

const files: readonly string[] = ['package', 'file'];

function argumentOf(name: string | undefined): CompletionPlace['argument'] {
  const named = namedArguments.find((kind) => name === kind || name === `${kind}s`);
  return named ?? (name !== undefined && files.includes(name) ? 'file' : 'none');
}
