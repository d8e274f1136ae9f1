import {
  isEncrypted,
  openPackage,
  type PackageOptions,
  type PackageSource,
  type PackageVerdict,
  verifyOvaStream,
  verifyPackage,
} from '@hypostyle/ovf';
import type { Command } from 'commander';
import { type CommandContext, type CommandDefinition, optionsOf } from '../../command-context.ts';
import { CliError } from '../../errors.ts';
import { describeFailure } from '../../failure.ts';
import { answer } from '../../output/answer.ts';
import { formatBytes } from '../../output/format.ts';
import { formatTable } from '../../output/table.ts';
import { warningLine } from '../../ovf/describe-summary.ts';
import { openPlace } from '../../ovf/open-package.ts';
import { type PassphraseArguments, passphraseOf, passphraseOption } from '../../ovf/passphrase.ts';
import { repeat, trustedOf } from '../../ovf/signing-options.ts';
import { workProgress } from '../../ovf/work-progress.ts';

interface VerifyArguments extends PassphraseArguments {
  readonly trust: readonly string[];
  readonly trustSystem?: boolean;
  readonly requireManifest?: boolean;
  readonly requireSignature?: boolean;
  readonly requireTrusted?: boolean;
  readonly forbidWeak?: boolean;
}

/** `hypo ovf verify`: every file against the manifest, the manifest against its signature. */
export const defineOvfVerify: CommandDefinition = (parent, context) => {
  const verify = parent
    .command('verify')
    .description('check every file of a package against its manifest, and the manifest against its signature')
    .argument(
      '<package>',
      "an OVA, a descriptor, its folder, the address of one, or '-' for an OVA on the standard input",
    )
    .option(
      '--trust <file>',
      'certificates in PEM that are believed: roots, issuers or signers; may be repeated',
      repeat,
      [],
    )
    .option('--trust-system', 'believe the certificates that this system does')
    .option('--require-manifest', 'a package without a manifest is bad')
    .option('--require-signature', 'a package without a signature is bad')
    .option('--require-trusted', 'a signature by somebody who is not trusted is bad')
    .option('--forbid-weak', 'a signature by SHA-1 is bad');
  passphraseOption(verify)
    .addHelpText(
      'after',
      `
A signature that is wrong, expired or not yet valid, or a certificate that cannot be read, is always bad. One that
nobody vouches for is bad only with --trust, --trust-system or --require-trusted. Digests are of the files as they are
stored; with its passphrase each file of an encrypted package is decrypted, too, unless the package passes by only once.

Exit codes: 0 good, 1 bad, 2 could not be decided.

Examples:
  hypo ovf verify appliance.ova
  hypo ovf verify appliance.ova --trust vendor-root.pem --require-signature
  curl -s https://example.org/appliance.ova | hypo ovf verify -`,
    )
    .action(async (name: string, _options: unknown, command: Command) => {
      const options = optionsOf<VerifyArguments>(command);
      const believes = options.trust.length > 0 || options.trustSystem === true;
      const trusted = await trustedOf(options.trust, options.trustSystem ?? false);
      const passphrase = await passphraseOf(context, options);
      const verdict = await verdictOn(name, context, { trusted, allowWeak: options.forbidWeak !== true, passphrase });
      const problem = problemOf(verdict, { ...options, requireTrusted: options.requireTrusted === true || believes });
      answer(context, command, { package: name, good: problem === undefined, problem, ...verdict }, describe(verdict));
      if (problem !== undefined) throw new CliError('failed', `${name} is bad: ${problem}`);
    });
};

async function verdictOn(
  name: string,
  context: CommandContext,
  policy: {
    readonly trusted: Awaited<ReturnType<typeof trustedOf>>;
    readonly allowWeak: boolean;
    readonly passphrase: string | undefined;
  },
): Promise<PackageVerdict> {
  const progress = workProgress(context.terminal, 'Verifying');
  const rules = { rules: 'lax' } as const;
  const options = { ...policy, ...rules, signal: context.signal, onProgress: progress.onProgress };
  try {
    const place = await openPlace(name, context, rules);
    if (place.kind === 'stream') return await verifyOvaStream(place.bytes, options);
    try {
      const verdict = await verifyPackage(place.source, options);
      if (verdict.result !== 'bad' && policy.passphrase !== undefined) await decryptAll(place.source, options);
      return verdict;
    } finally {
      await place.source.close();
    }
  } catch (error) {
    if (context.signal.aborted && error === context.signal.reason) throw error;
    const { message, next } = await describeFailure(error);
    // An archive that is damaged is a verdict; anything else is none.
    if (isDamage(error)) throw new CliError('failed', `${name} is bad: ${message}`, { cause: error });
    throw new CliError('undecided', message, { cause: error, ...(next === undefined ? {} : { next }) });
  } finally {
    progress.end();
  }
}

/** Reads every encrypted file to its end. Throws what refuses it. */
async function decryptAll(source: PackageSource, options: PackageOptions & { readonly signal: AbortSignal }) {
  const { envelope, open } = await openPackage(source, options);
  for (const file of envelope.files.filter((one) => isEncrypted(envelope, one)))
    for await (const _ of open(file.href)) options.signal.throwIfAborted();
}

const damage = new Set(['passphrase-wrong', 'archive-invalid', 'archive-truncated', 'archive-limit', 'name-unsafe']);

function isDamage(error: unknown): boolean {
  return error instanceof Error && 'code' in error && damage.has(String(error.code));
}

/** Why the package is bad; absent when it is good. */
function problemOf(
  { result, files, signature }: PackageVerdict,
  { requireManifest, requireSignature, requireTrusted }: Partial<VerifyArguments>,
): string | undefined {
  const wrong = files.filter(({ status }) => status !== 'matches');
  if (result === 'bad' && wrong.length > 0) {
    const [{ file, status, detail }] = wrong as [(typeof wrong)[number]];
    const more = wrong.length === 1 ? '' : ` (and ${wrong.length - 1} more)`;
    return `${file} ${words[status]}${detail === undefined ? '' : `: ${detail}`}${more}.`;
  }
  if (result === 'bad') return signature.detail;
  if (result === 'unproven' && (requireManifest || requireSignature)) return 'It has no manifest.';
  if (signature.status === 'unsigned') return requireSignature ? signature.detail : undefined;
  return requireTrusted && signature.status !== 'trusted' ? signature.detail : undefined;
}

const words = {
  matches: 'is as it should be',
  differs: 'is not what the manifest says',
  missing: 'is missing',
  uncovered: 'is not in the manifest',
  unreadable: 'cannot be read',
  invalid: 'is not valid',
} as const;

function describe({ result, files, signature, warnings }: PackageVerdict): string {
  const table = formatTable(
    ['FILE', 'SIZE', 'DIGEST', 'VERDICT'],
    files.map(({ file, size, algorithm, status }) => [
      file,
      size === undefined ? '' : formatBytes(size),
      algorithm ?? '',
      result === 'unproven' ? 'there is no manifest to hold it against' : words[status],
    ]),
  );
  const chain = signature.certificates.map(
    ({ subject, validTo }) => `  ${subject}, valid until ${validTo.slice(0, 10)}`,
  );
  return [
    table,
    '',
    `Signature: ${signature.detail}`,
    ...chain,
    ...signature.weaknesses.map((one) => `Weak: ${one}.`),
    ...warnings.map(({ detail, location }) => `Warning: ${warningLine({ detail, ...location })}.`),
  ].join('\n');
}
