/** `npm run demo:clean`: removes the demo machine. The daemon stays as it was. */
import { daemonUrl, demoName, findDemo, home, hypo, signIn } from './demo.ts';

const url = await daemonUrl();
if (url === undefined) {
  console.error('The host does not run, so nothing can be removed. Start it: npx hypo host --detach');
  process.exitCode = 1;
} else {
  const client = await signIn(url);
  const demo = await findDemo(client);
  await client[Symbol.asyncDispose]();
  if (demo === undefined) console.log(`There is no ${demoName}.`);
  else await hypo('rm', demoName, '--force', '--home', home.directory);
}
