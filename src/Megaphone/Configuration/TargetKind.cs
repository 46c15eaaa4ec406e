namespace Megaphone.Configuration;

/// <summary>What a <see cref="Target"/> is for.</summary>
internal enum TargetKind
{
    /// <summary>The ECM's links go there.</summary>
    Link,

    /// <summary>The hub's sessions go there.</summary>
    Backend,

    /// <summary>Requests for no WebSocket are relayed there.</summary>
    Http,
}
