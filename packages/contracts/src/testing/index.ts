export { type StoreConformanceOptions, storeConformance } from './store-conformance.ts';
