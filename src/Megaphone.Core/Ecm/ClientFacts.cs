namespace Megaphone.Ecm;

/// <summary>What an operator is told of a client.</summary>
/// <param name="Id">Its id, decimal, as on the link.</param>
/// <param name="Address">Its address and port; of one that a proxy has named, the address or for IPv6 its /64, without the port.</param>
/// <param name="Proxy">The address and port of that proxy; null: it came by itself.</param>
/// <param name="Listener">Where it has connected, with the real port; <c>closed</c> where a reload has closed that.</param>
/// <param name="Tls">Version and algorithm; null: none, or OpenSSL's.</param>
/// <param name="AgeSeconds">Since when it is there.</param>
/// <param name="IdleSeconds">Since when nothing has come from it.</param>
/// <param name="Server">What its server calls itself; null: it has none.</param>
/// <param name="State">In a word or two.</param>
/// <param name="BytesIn">What has arrived from it, as the kernel counts it.</param>
/// <param name="BytesOut">What has arrived there, as the kernel counts it.</param>
internal sealed record ClientFacts(
    string Id, string Address, string? Proxy, string Listener, string? Tls, long AgeSeconds, long IdleSeconds, string? Server, string State,
    long BytesIn, long BytesOut);
