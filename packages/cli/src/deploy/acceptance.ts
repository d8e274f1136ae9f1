import type { X509Certificate } from 'node:crypto';
import { type Content, type Envelope, localize, type SignatureStatus, verifySignature } from '@hypostyle/ovf';
import type { CommandContext } from '../command-context.ts';
import { CliError } from '../errors.ts';
import { ask } from '../output/prompt.ts';
import { printable } from '../output/table.ts';
import { note } from '../output/terminal.ts';
import type { DeployPackage } from './deploy-package.ts';

/** What a person lays down before a package is deployed. */
export interface Acceptance {
  /** The licences are accepted unread. */
  readonly acceptEula: boolean;
  /** Whose signatures are believed; with any of them the package must have one. */
  readonly trusted: readonly X509Certificate[];
  readonly requireSignature: boolean;
}

/** Signatures that are none, whatever is laid down. */
const broken: ReadonlySet<SignatureStatus> = new Set(['signature-wrong', 'manifest-changed', 'certificate-unreadable']);

/** Checks signature and licences of a package before anything is made of it. Throws what refuses it. */
export async function acceptPackage(
  context: CommandContext,
  source: Pick<DeployPackage, 'envelope' | 'signed'>,
  acceptance: Acceptance,
): Promise<void> {
  checkSignature(context, source.signed, acceptance);
  if (!acceptance.acceptEula) await acceptLicences(context, source.envelope);
}

function checkSignature(
  { terminal }: CommandContext,
  { manifest, certificate, complete }: DeployPackage['signed'],
  { trusted, requireSignature }: Acceptance,
): void {
  const wanted = requireSignature || trusted.length > 0;
  if (!complete) {
    // The manifest may still come, behind the files.
    if (!wanted) return;
    throw new CliError('failed', 'The package tells its signature only after its files.', {
      next: "Put it into a file, so that the signature can be read first, or see 'hypo ovf verify'.",
    });
  }
  const { status, detail } = verifySignature(manifest, certificate, { trusted });
  const untrusted = trusted.length > 0 ? status !== 'trusted' : wanted && status === 'unsigned';
  if (broken.has(status) || untrusted) {
    throw new CliError('failed', detail, { next: "'hypo ovf verify' tells more of it." });
  }
  if (status !== 'unsigned' && status !== 'trusted') note(terminal, `hypo: warning: ${detail}`);
}

async function acceptLicences({ terminal, signal }: CommandContext, envelope: Envelope): Promise<void> {
  const licences = contentsOf(envelope.content).flatMap(({ eulas }) =>
    eulas.map(({ license }) => localize(envelope, license, 'en-US').trim()),
  );
  if (licences.length === 0) return;
  if (!terminal.input.isTTY) {
    throw new CliError('usage', 'The package has a licence, which must be accepted.', {
      next: "Read it with 'hypo ovf inspect PACKAGE --eula', and accept it with --accept-eula.",
    });
  }
  for (const text of licences)
    note(
      terminal,
      text
        .split(/\r\n|\n|\r/)
        .map(printable)
        .join('\n'),
    );
  const answer = await ask(terminal, 'Do you accept the licence? [yes/no] ', { hidden: false, signal });
  if (/^y(es)?$/i.test(answer.trim())) return;
  throw new CliError('failed', 'The licence was not accepted: nothing was deployed.');
}

function contentsOf(content: Content): Content[] {
  return content.kind === 'VirtualSystem' ? [content] : [content, ...content.contents.flatMap(contentsOf)];
}
