namespace Megaphone.Metrics;

/// <summary>Which of the limits for clients kept one out, or ended it: the <c>limit</c> label of <c>megaphone_limited_total</c>.</summary>
internal enum Limit
{
    /// <summary>Its address is one that is denied, or not among those that are allowed.</summary>
    Denied,

    /// <summary>Its address had <c>PerAddress</c> connections.</summary>
    PerAddress,

    /// <summary>Its address had brought <c>PerAddressRate</c> connections in a second.</summary>
    PerAddressRate,

    /// <summary>The IPv6 network around its own had as many connections as that may have.</summary>
    PerSite,

    /// <summary>The IPv6 network around its own had brought as many connections in a second as that may.</summary>
    PerSiteRate,
}
