namespace Megaphone;

/// <summary>The exit statuses of the program, whatever it was asked to do.</summary>
internal static class ExitStatus
{
    /// <summary>It did what it was asked to do.</summary>
    public const int Ok = 0;

    /// <summary>It did not, or a check or a measurement failed.</summary>
    public const int Failed = 1;

    /// <summary>The arguments or the settings are wrong; nothing was done.</summary>
    public const int Usage = 2;
}
