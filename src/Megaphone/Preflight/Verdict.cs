namespace Megaphone.Preflight;

/// <summary>How serious a finding of <c>megaphone check</c> is.</summary>
internal enum Verdict
{
    /// <summary>It fits.</summary>
    Ok,

    /// <summary>It works, but not as well, or not as far, as it could.</summary>
    Warn,

    /// <summary>It keeps the configuration from working.</summary>
    Fail,
}
