namespace Megaphone.Metrics;

/// <summary>How one link is now.</summary>
/// <param name="Server">The target as it is configured (ECM), or what the other end calls itself (hub).</param>
/// <param name="Name">What the other end calls itself; null: it has no name.</param>
/// <param name="State">In a word or two.</param>
/// <param name="Sessions">The clients or sessions on it.</param>
/// <param name="Age">Since when it is there; null while it is not.</param>
/// <param name="RoundTrip">How long the network takes to the other end and back, as the kernel estimates it; null where that is not known.</param>
/// <param name="RingBytes">What is to be sent or to be acknowledged, in bytes.</param>
/// <param name="RingCapacity">The size of its ring, in bytes; 0 while there is none.</param>
internal readonly record struct LinkStatus(
    string Server, string? Name, string State, long Sessions, TimeSpan? Age, TimeSpan? RoundTrip, long RingBytes, long RingCapacity);
