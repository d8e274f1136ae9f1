import { OvfError } from '../errors.ts';
import { selectConfiguration } from './deployment-configuration.ts';
import type { Content, Envelope, LocalizedText, StartupItem, VirtualSystemCollection } from './envelope.ts';
import { contentsOf } from './envelope-references.ts';
import { localize } from './strings.ts';
import type { InstanceCount, ScaleOutSection } from './version2-sections.ts';

/** Virtual systems and collections that one package may have at most once its copies are made. */
const maxContents = 1_000;

/** A range of instances with what the standard takes for granted. */
export interface CountRange {
  readonly minimum: number;
  readonly default: number;
  /** Infinite where there is none. */
  readonly maximum: number;
}

/** DSP0243 2.1 9.14: at least one, and as many as you like, unless told. */
export function countRange({ minimum = 1, default: usual = minimum, maximum }: InstanceCount): CountRange {
  return { minimum, default: usual, maximum: maximum ?? Number.POSITIVE_INFINITY };
}

/** What of a package scales out, and how far. */
export interface ScaleOutChoice extends CountRange {
  readonly id: string;
  readonly description?: LocalizedText;
}

export interface ScaleOutOptions {
  /** Deployment option; the descriptor's default unless told. */
  readonly configuration?: string;
  /** How many instances there are to be, by the `id` that scales out; the defaults for others. */
  readonly counts?: ReadonlyMap<string, number>;
  /** Language of the names. */
  readonly language?: string;
}

/** Every content of an envelope that scales out. Throws `configuration-unknown`. */
export function scaleOutChoices(envelope: Envelope, asked?: string): ScaleOutChoice[] {
  const configuration = selectConfiguration(envelope, asked);
  return sectionsOf(envelope).map((section) => ({
    id: section.id,
    ...(section.description === undefined ? {} : { description: section.description }),
    ...rangeFor(section, configuration),
  }));
}

/**
 * The envelope with copies in the place of what scales out (DSP0243 2.1 9.14): `id-1`, `id-2` …, each with its own name and
 * the order of starting that the prototype has. Disks and files are shared as descriptions; whoever deploys makes each copy
 * its own. Throws `scale-out-invalid` for a count out of bounds, of nothing, or for too many in all.
 */
export function withInstances(envelope: Envelope, options: ScaleOutOptions = {}): Envelope {
  const { counts = new Map<string, number>() } = options;
  const sections = sectionsOf(envelope);
  for (const id of counts.keys()) {
    if (sections.some((section) => section.id === id)) continue;
    const known = sections.map((section) => section.id);
    const which = known.length === 0 ? 'nothing of this package does' : `only ${known.join(', ')} can`;
    throw new OvfError('scale-out-invalid', `"${id}" does not scale out: ${which}`);
  }
  if (sections.length === 0) return envelope;
  const expansion = new Expansion(envelope, options);
  const content = expansion.expanded(envelope.content);
  const ids = new Set<string>();
  for (const { id, kind, line } of contentsOf(content)) {
    if (ids.has(id))
      throw new OvfError('scale-out-invalid', `a copy would have the id "${id}", which another has`, {
        section: kind,
        line,
      });
    ids.add(id);
  }
  return { ...envelope, content };
}

function sectionsOf({ content }: Envelope): ScaleOutSection[] {
  return [...contentsOf(content)].flatMap((one) =>
    one.kind === 'VirtualSystemCollection' ? (one.scaleOut ?? []) : [],
  );
}

function rangeFor(section: ScaleOutSection, configuration: string | undefined): CountRange {
  const own = section.optionCounts?.find(
    ({ configurations }) => configuration !== undefined && configurations.includes(configuration),
  );
  return countRange(own ?? section);
}

class Expansion {
  readonly #envelope: Envelope;
  readonly #options: ScaleOutOptions;
  readonly #configuration: string | undefined;
  #left = maxContents;

  constructor(envelope: Envelope, options: ScaleOutOptions) {
    this.#envelope = envelope;
    this.#options = options;
    this.#configuration = selectConfiguration(envelope, options.configuration);
  }

  expanded(content: Content): Content {
    if (content.kind === 'VirtualSystem') return content;
    const { scaleOut = [], startup, ...rest } = content;
    const copiesOf = new Map<string, string[]>();
    const contents = content.contents.flatMap((child) => {
      const whole = this.expanded(child);
      const section = scaleOut.find(({ id }) => id === child.id);
      if (section === undefined) return [whole];
      const count = this.#countOf(section);
      this.#take(count * [...contentsOf(whole)].length, section);
      const copies = Array.from({ length: count }, (_, index) => this.#copy(whole, index + 1));
      copiesOf.set(
        child.id,
        copies.map(({ id }) => id),
      );
      return copies;
    });
    const items = startup?.items.flatMap((item): StartupItem[] => {
      const copies = copiesOf.get(item.id);
      return copies === undefined ? [item] : copies.map((id) => ({ ...item, id }));
    });
    return {
      ...rest,
      ...(startup === undefined ? {} : { startup: { ...startup, items: items ?? [] } }),
      contents,
    };
  }

  #countOf(section: ScaleOutSection): number {
    const { minimum, maximum, default: usual } = rangeFor(section, this.#configuration);
    const count = this.#options.counts?.get(section.id) ?? usual;
    if (Number.isSafeInteger(count) && count >= minimum && count <= maximum) return count;
    const bounds = Number.isFinite(maximum) ? `${minimum} to ${maximum}` : `at least ${minimum}`;
    throw new OvfError('scale-out-invalid', `"${section.id}" has ${bounds} instances, not ${count}`, {
      section: 'ScaleOutSection',
      line: section.line,
    });
  }

  #take(contents: number, { line }: ScaleOutSection): void {
    this.#left -= contents;
    if (this.#left >= 0) return;
    throw new OvfError('scale-out-invalid', `there would be more than ${maxContents} virtual systems and collections`, {
      section: 'ScaleOutSection',
      line,
    });
  }

  #copy(content: Content, number: number): Content {
    const { name } = content;
    const said = name === undefined ? '' : localize(this.#envelope, name, this.#options.language ?? '');
    return { ...numbered(content, number), name: { text: `${said || content.id}-${number}` } };
  }
}

/** The content with a number behind every id in it: of two copies of a collection none has an id twice. */
function numbered(content: Content, number: number): Content {
  const renamed = (id: string) => `${id}-${number}`;
  const id = renamed(content.id);
  if (content.kind === 'VirtualSystem') return { ...content, id };
  const { startup } = content;
  const collection: VirtualSystemCollection = {
    ...content,
    id,
    ...(startup === undefined
      ? {}
      : { startup: { ...startup, items: startup.items.map((item) => ({ ...item, id: renamed(item.id) })) } }),
    contents: content.contents.map((child) => numbered(child, number)),
  };
  return collection;
}
