using Megaphone.Tls;

namespace Megaphone.Reactor;

/// <summary>What there is to see of a connection.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Owner">Whose it is, in the handler's own numbering.</param>
/// <param name="Descriptor">Its socket, only while its gate is held.</param>
/// <param name="Flags">What is true of it.</param>
/// <param name="Tls">What its handshake has agreed on; nothing without TLS, or where OpenSSL opens the records.</param>
internal readonly record struct SurveyedConnection(ConnectionId Id, int Owner, int Descriptor, ConnectionFlags Flags, SecurityParameters Tls);
