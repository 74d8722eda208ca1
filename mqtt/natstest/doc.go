// Package natstest tests the device with a cluster of three NATS servers with JetStream, each of which is killed under
// it. It is a module of its own, so that the product does not depend on the server.
//
// What NATS (2.15) does that Mosquitto does not, and the device must be able to bear:
//
//   - While the cluster elects leaders, for some 10 s after a server has died, a CONNECT is not answered within 5 s or the
//     connection is closed, and a SUBSCRIBE is refused (0x80) once js_api_timeout is over: a refusal is not for good.
//   - A message with QoS 1 may never be acknowledged on a connection that stays up, pings answered.
//   - Who connects first makes the streams. Their replicas, and those of the consumers, are three if the cluster is
//     complete by then, so it is waited for.
//   - A persistent session, that of the stop, is at whichever server the device comes to, as are all retained messages.
package natstest
