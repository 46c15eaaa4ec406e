namespace Megaphone.Operator;

/// <summary>How one link is.</summary>
/// <param name="Server">The server as it is configured (ECM), or what the ECM calls itself (hub).</param>
/// <param name="Name">What the other end calls itself.</param>
/// <param name="State">In a word or two.</param>
/// <param name="Sessions">Clients or sessions on it.</param>
/// <param name="AgeSeconds">Since when it is there.</param>
/// <param name="RoundTripSeconds">How long the network takes there and back.</param>
/// <param name="RingBytes">Bytes to be sent, or to be acknowledged.</param>
/// <param name="RingCapacity">How many there can be.</param>
internal sealed record LinkReport(
    string Server, string? Name, string State, long Sessions, long? AgeSeconds, double? RoundTripSeconds, long RingBytes, long RingCapacity);
