// Runs the broker aedes on 127.0.0.1, at the port that is given.
const server = require('net').createServer(require('aedes')().handle)
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('aedes is listening'))
