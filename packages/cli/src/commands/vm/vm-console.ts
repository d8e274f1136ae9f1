import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { pipeline } from 'node:stream/promises';
import { data } from '@hypostyle/vim';
import { type Command, Option } from 'commander';
import { type CommandContext, onServer, optionsOf } from '../../command-context.ts';
import type { ServerSession } from '../../connection/server-session.ts';
import { keyEvents, namedKey } from '../../console/key-events.ts';
import { CliError } from '../../errors.ts';
import { findMachine } from '../../inventory/find-object.ts';
import { runTask, withName } from '../../inventory/run-task.ts';
import { answer } from '../../output/answer.ts';

/** Keys that one call presses. */
const keysAtOnce = 200;

export function defineKeystrokes(vm: Command, context: CommandContext): void {
  vm.command('keystrokes')
    .description('type on the keyboard of a machine, as somebody with an American one does')
    .argument('<machine>', 'name, path or id')
    .option('-s, --string <text>', 'text to type')
    .option('-c, --code <key>', 'one key: a USB HID usage in hexadecimal, or a name such as KEY_ENTER or F2')
    .option('-r, --return', 'the return key after the text')
    .addOption(new Option('--ctrl', 'hold control'))
    .addOption(new Option('--alt', 'hold alt'))
    .addOption(new Option('--shift', 'hold shift'))
    .addOption(new Option('--gui', 'hold the system key'))
    .addHelpText(
      'after',
      `
Examples:
  hypo vm keystrokes web -s 'root' --return
  hypo vm keystrokes web -c KEY_DELETE --ctrl --alt
  hypo vm keystrokes web -c 0x3b`,
    )
    .action(async (machine: string, _options: unknown, command: Command) => {
      const {
        string: text,
        code,
        return: enter = false,
        ctrl = false,
        alt = false,
        shift = false,
        gui = false,
      } = optionsOf<{
        string?: string;
        code?: string;
        return?: boolean;
        ctrl?: boolean;
        alt?: boolean;
        shift?: boolean;
        gui?: boolean;
      }>(command);
      if ((text === undefined) === (code === undefined)) {
        throw new CliError('usage', 'What is to be typed?', { next: 'Give --string TEXT or --code KEY.' });
      }
      const usages = text === undefined ? [namedKey(code ?? '')] : keyEvents(text + (enter ? '\n' : ''));
      const held = { leftControl: ctrl, leftAlt: alt, leftGui: gui };
      const events = usages.map(({ usage, shifted }) =>
        data('UsbScanCodeSpecKeyEvent', {
          usbHidCode: (usage << 16) | 7,
          modifiers: data('UsbScanCodeSpecModifierType', { ...held, leftShift: shift || shifted }),
        }),
      );
      const typed = await onServer(command, context, async (session) => {
        const { ref, name } = await findMachine(session, machine);
        let count = 0;
        for (let at = 0; at < events.length; at += keysAtOnce) {
          const spec = data('UsbScanCodeSpec', { keyEvents: events.slice(at, at + keysAtOnce) });
          count += await session.client.call(ref, 'PutUsbScanCodes', { spec }).catch((error: unknown) => {
            throw withName(name, error);
          });
        }
        return { machine: name, keys: count };
      });
      answer(context, command, typed, `${typed.machine}: ${typed.keys} keys`);
    });
}

export function defineScreenshot(vm: Command, context: CommandContext): void {
  vm.command('screenshot')
    .description("take a picture of a machine's screen, as PNG")
    .argument('<machine>', 'name, path or id')
    .argument('[file]', 'where to put it; without one it stays beside the machine on its datastore')
    .option('--width <pixels>', 'in another size')
    .option('--height <pixels>', 'in another size')
    .addHelpText(
      'after',
      '\nExamples:\n  hypo vm screenshot web screen.png\n  hypo vm screenshot web - --width 320 >small.png',
    )
    .action(async (machine: string, file: string | undefined, _options: unknown, command: Command) => {
      const size = optionsOf<{ width?: string; height?: string }>(command);
      const taken = await onServer(command, context, async (session) => {
        const { ref, name } = await findMachine(session, machine);
        if (file === undefined) {
          const path = await runTask(session, context, name, () =>
            session.client.call(ref, 'CreateScreenshot_Task', {}),
          );
          return { machine: name, path: String(path) };
        }
        await fetchScreen(session, context, { id: ref.value, file, ...size });
        return { machine: name, path: file };
      });
      if (file !== '-') answer(context, command, taken, taken.path);
    });
}

async function fetchScreen(
  { address, userName, tls }: ServerSession,
  { terminal, signal }: CommandContext,
  {
    id,
    file,
    width = '',
    height = '',
  }: { readonly id: string; readonly file: string; readonly width?: string; readonly height?: string },
): Promise<void> {
  const url = new URL(`/screen?${new URLSearchParams({ id, w: width, h: height })}`, address.url);
  const authorization = `Basic ${Buffer.from(`${userName}:${address.password}`).toString('base64')}`;
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    request(url, { ...tls, headers: { authorization }, signal }, resolve)
      .once('error', reject)
      .end();
  });
  if (incoming.statusCode !== 200) {
    let text = '';
    for await (const part of incoming.setEncoding('utf8') as AsyncIterable<string>) text = (text + part).slice(0, 1000);
    throw new CliError('failed', text.trim() || `The server answers ${incoming.statusCode}.`);
  }
  if (file === '-') {
    await pipeline(incoming, terminal.output, { end: false });
    return;
  }
  try {
    await pipeline(incoming, createWriteStream(file));
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
}
