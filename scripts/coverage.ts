// npm run coverage: writes docs/coverage.md, made from what a host and a center really answer.
import { writeFile } from 'node:fs/promises';
import { coveragePage } from './survey/page.ts';
import { managedTypes, survey } from './survey/survey.ts';
import { World } from './survey/world.ts';

const world = await World.open();
try {
  await writeFile(new URL('../docs/coverage.md', import.meta.url), coveragePage(await survey(world), managedTypes()));
} finally {
  await world.close();
}
