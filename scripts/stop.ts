/** `npm stop`: ends the daemon; machines run on. */
import { home, hypo } from './demo.ts';

await hypo('down', '--home', home.directory);
