import type { EncryptedFiles } from '../../encryption/encrypted-files.ts';
import { plainContent } from '../../encryption/plain-content.ts';
import type { Envelope } from '../../envelope/envelope.ts';
import type { OvaContent, OvaFile } from '../archive/ova-file.ts';
import { inflated, maxInflatedLength } from './stored-content.ts';

/** Files of a streamed archive as References has them: the chunks of one as one, encryption and compression undone. */
export async function* joinedContents(
  files: AsyncGenerator<OvaFile>,
  envelope: Envelope,
  encryption: EncryptedFiles,
): AsyncGenerator<OvaContent> {
  let next: IteratorResult<OvaFile, void> = await files.next();
  while (!next.done) {
    const { reference, content: first } = next.value;
    if (reference === undefined) {
      next = await files.next();
      continue;
    }
    let rest: IteratorResult<OvaFile, void> | undefined;
    const stored = async function* () {
      yield* first;
      for (;;) {
        rest = await files.next();
        if (rest.done || rest.value.reference !== reference) return;
        yield* rest.value.content;
      }
    };
    const key = await encryption.keyFor(reference);
    const plain = key === undefined ? stored() : plainContent(envelope, reference, stored(), key);
    const content =
      reference.compression === 'gzip'
        ? inflated(plain, reference.href, maxInflatedLength(envelope, reference))
        : plain;
    yield { reference, content };
    next = rest ?? (await files.next());
    // What the reader left of a chunked file.
    while (!next.done && next.value.reference === reference) next = await files.next();
  }
}
