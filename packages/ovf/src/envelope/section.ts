import type { XmlAttribute, XmlElement } from '../xml/xml-tree.ts';

/** What every element of an envelope may carry beyond what this package reads; kept to be written back. */
export interface Extensible {
  readonly attributes?: readonly XmlAttribute[];
  readonly extensions?: readonly XmlElement[];
  /** Line in the descriptor, from 1; absent on what was not read. */
  readonly line?: number;
}

/** A text for people. `messageId` names its translation in a string bundle, `text` is the fallback (DSP0243 10.1). */
export interface LocalizedText {
  readonly text: string;
  readonly messageId?: string;
  /** Other attributes of the element, kept to be written back. */
  readonly attributes?: readonly XmlAttribute[];
}

export interface Section extends Extensible {
  readonly info: LocalizedText;
  /** `ovf:required`; absent means true. */
  readonly required?: boolean;
}

export interface DiskDescription extends Extensible {
  readonly id: string;
  /** `id` of a {@link FileReference}; absent for an empty disk. */
  readonly fileId?: string;
  readonly capacity: DiskCapacity;
  /** Estimate of the used bytes. */
  readonly populatedSize?: number;
  /** Disk `id` that this one is a delta of. */
  readonly parentId?: string;
  /** URI of the format. */
  readonly format?: string;
}

/** A capacity as written: `quantity` times `unit`, or the key of the property that gives the quantity. */
export type DiskCapacity =
  | { readonly quantity: number; readonly unit: string; readonly bytes: number }
  | { readonly property: string; readonly unit: string };
