// The broker aedes on a port of this machine: node aedes.js <port> [topic…]. It ends the connection of who subscribes to
// one of these topics.
const [port, ...forbidden] = process.argv.slice(2)
const aedes = require('aedes')({
  authorizeSubscribe (client, subscription, callback) {
    if (forbidden.includes(subscription.topic)) return client.conn.destroy()
    callback(null, subscription)
  }
})
const server = require('net').createServer(aedes.handle)
server.listen(Number(port), '127.0.0.1', () => console.log('aedes is listening'))
