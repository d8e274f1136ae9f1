import type { ApiVersion } from '../../codec/api-version.ts';
import { SoapEncoder } from '../../codec/soap-encoder.ts';
import { VersionPlans } from '../../codec/type-plan.ts';
import { type Frame, openMember, ValueFrames } from '../../codec/value-frames.ts';
import { WireTypes } from '../../codec/wire-types.ts';
import { XmlReader } from '../../codec/xml-reader.ts';
import type { DataTypes } from '../../generated/types.ts';
import { fault } from '../../runtime/fault.ts';
import type { Schema } from '../../schema/schema.ts';

type SpecItem = DataTypes['CustomizationSpecItem'];

const root = 'CustomizationSpecItem';
const names =
  ' xmlns="urn:vim25" xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';
const longestText = 1 << 20;

/** Specifications as texts that people keep in files: the model's own XML, under one root. */
export class SpecXml {
  readonly #encoder: SoapEncoder;
  readonly #frames: ValueFrames;

  constructor(schema: Schema, version: ApiVersion) {
    const types = new WireTypes(schema);
    this.#encoder = new SoapEncoder(new VersionPlans(types, version));
    this.#frames = new ValueFrames(types, { lenient: false });
  }

  format(item: SpecItem): string {
    const body = this.#encoder.typedElement(root, root, { ...item, _typeName: root } as never, names);
    return `<?xml version="1.0" encoding="UTF-8"?>\n${body}\n`;
  }

  /** Throws CustomizationFault for what is no specification. */
  parse(text: string): SpecItem {
    if (text.length > longestText) throw fault('CustomizationFault', {}, 'The text is too long for a specification.');
    const values: Record<string, unknown> = {};
    const property = { name: root, type: { name: root, array: false }, optional: true, secret: false, since: '2.0' };
    const document: Frame = {
      child: (name, attributes) => {
        if (name !== root) throw fault('CustomizationFault', {}, `${root} was expected.`);
        return openMember(this.#frames, property, values, attributes, { path: () => '' });
      },
      text: () => {},
      end: () => {},
    };
    try {
      const reader = new XmlReader(document);
      reader.write(text.replace(/^\uFEFF?\s*<\?xml[^>]*\?>\s*/, ''));
      reader.close();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw fault('CustomizationFault', {}, `The text is no specification: ${message}`, { cause: error });
    }
    const item = values[root] as SpecItem | undefined;
    if (item === undefined) throw fault('CustomizationFault', {}, 'The text is no specification.');
    return item;
  }
}
