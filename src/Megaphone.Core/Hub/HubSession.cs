using Megaphone.Reactor;

namespace Megaphone.Hub;

/// <summary>One session of a hub, as it is passed to its backend.</summary>
/// <remarks>It lives as long as a call: a session's lasting state is in its link's <see cref="SessionTable"/> and with its connection.</remarks>
/// <param name="Link">The link that opened it.</param>
/// <param name="Id">The connection id on that link.</param>
/// <param name="Connection">The connection to the backend; default with <c>echo:</c>.</param>
internal readonly record struct HubSession(HubLink Link, ulong Id, ConnectionId Connection = default);
