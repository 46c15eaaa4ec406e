namespace Megaphone.Interop;

/// <summary>The Linux error numbers that are handled.</summary>
internal static class Errno
{
    public const int Interrupted = 4;
    public const int TryAgain = 11;
    public const int OutOfMemory = 12;
    public const int BadAddress = 14;
    public const int TooManyFilesInSystem = 23;
    public const int TooManyFiles = 24;
    public const int NoBufferSpace = 105;
    public const int TimedOut = 110;
    public const int InProgress = 115;
}
