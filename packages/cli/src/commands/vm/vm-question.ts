import type { VirtualMachineQuestionInfo } from '@hypostyle/vim';
import type { Command } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { findMachine } from '../../inventory/find-object.ts';
import { withName } from '../../inventory/run-task.ts';
import { answer } from '../../output/answer.ts';

/** `hypo vm question`: what a machine waits to be told, and the answer to it. */
export function defineQuestion(vm: Command, context: CommandContext): void {
  vm.command('question')
    .description('show the question that a machine waits with, or answer it')
    .argument('<machine>', 'name, path or id of the machine')
    .option('--answer <choice>', 'key or name of the choice')
    .addHelpText('after', '\nExamples:\n  hypo vm question web\n  hypo vm question web --answer retry')
    .action(async (machine: string, _options: unknown, command: Command) => {
      const { answer: chosen } = optionsOf<{ answer?: string }>(command);
      const told = await onServer(command, context, async (session) => {
        const { client } = session;
        const { ref, name } = await findMachine(session, machine);
        const [found] = await client.retrieve(ref, ['runtime.question']);
        const question = found?.values['runtime.question'] as VirtualMachineQuestionInfo | undefined;
        if (question === undefined) {
          if (chosen !== undefined) throw new CliError('not-found', `${name} asks nothing.`);
          return { name };
        }
        const { id, text, choice } = question;
        const choices = choice.choiceInfo.map(({ key, label, summary }) => ({ key, label, summary }));
        const standard = choices[choice.defaultIndex ?? -1]?.key;
        if (chosen === undefined) return { name, id, text, choices, default: standard };
        const fits = choices.find(({ key, label }) => key === chosen || label.toLowerCase() === chosen.toLowerCase());
        if (fits === undefined)
          throw new CliError('usage', `'${chosen}' is no choice.`, {
            next: `Use --answer with ${choices.map(({ key, label }) => `${key} (${label})`).join(', ')}.`,
          });
        await client.call(ref, 'AnswerVM', { questionId: id, answerChoice: fits.key }).catch((error: unknown) => {
          throw withName(name, error);
        });
        return { name, id, text, answered: fits.key };
      });
      answer(context, command, told, described(told));
    });
}

interface Told {
  readonly name: string;
  readonly text?: string;
  readonly choices?: readonly { readonly key: string; readonly label: string; readonly summary: string }[];
  readonly default?: string | undefined;
  readonly answered?: string;
}

function described({ name, text, choices = [], default: standard, answered }: Told): string {
  if (text === undefined) return `${name}: asks nothing`;
  if (answered !== undefined) return `${name}: answered ${answered}`;
  const lines = choices.map(
    ({ key, label, summary }) =>
      `  ${key}  ${label === summary ? label : `${label}: ${summary}`}${key === standard ? ' (default)' : ''}`,
  );
  return [`${name}: ${text}`, ...lines].join('\n');
}
