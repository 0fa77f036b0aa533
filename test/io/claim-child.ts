import { claimControlSocket } from '../../src/io/claim-control-socket.ts';

// A process that tries to become the daemon of the path it is given, says how it went, and stays as long as it won.
const claim = await claimControlSocket(process.argv[2] ?? '');
process.stdout.write(claim === null ? 'lost\n' : 'won\n');
if (claim === null) process.exit(0);
