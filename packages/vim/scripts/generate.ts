/**
 * Writes src/generated/ from schema/vim25-8.0.3.0.json: `npm run generate`.
 *
 * schema.txt has one line a type (name, tab, JSON), parsed when first needed; types.ts is types only.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { compactSchema, type SourceSchema } from './compact-schema.ts';
import { typeDeclarations } from './type-declarations.ts';

const root = new URL('..', import.meta.url);
const source = JSON.parse(readFileSync(new URL('schema/vim25-8.0.3.0.json', root), 'utf8')) as SourceSchema;
writeFileSync(new URL('src/generated/schema.txt', root), compactSchema(source));
writeFileSync(new URL('src/generated/types.ts', root), typeDeclarations(source));
