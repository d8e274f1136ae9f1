import type { ManagedObjectReference } from '../../schema/values.ts';
import type { EntitySamples, SampleRange, SeriesId, Wanted } from './samples.ts';

/** Seconds between two looks at what runs. */
export const currentInterval = 20;

export interface CurrentRequest {
  readonly entity: ManagedObjectReference;
  readonly range: SampleRange;
  readonly wanted: Wanted;
  /** Most times that are answered: the last ones. */
  readonly limit?: number | undefined;
}

/** Where the samples of the last hour are. */
export interface CurrentSamples {
  /** True for what is looked at every `currentInterval`. */
  supports(entity: ManagedObjectReference): boolean;
  /** Series that have a value in the range. */
  available(entity: ManagedObjectReference, range: SampleRange): Promise<readonly SeriesId[]>;
  /** Answers in the order of the requests. */
  read(requests: readonly CurrentRequest[]): Promise<readonly EntitySamples[]>;
}
