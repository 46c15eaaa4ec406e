namespace Megaphone.Hosting;

/// <summary>The service could not start; the message is the one line that the operator reads.</summary>
internal sealed class StartFailedException : Exception
{
    /// <summary>With the line and what caused it.</summary>
    public StartFailedException(string message, Exception cause)
        : base(message, cause)
    {
    }
}
