namespace Megaphone.Load;

/// <summary>Lets a program that would run for ever end together with the script that started it.</summary>
internal static class ParentGuard
{
    /// <summary>Returns at the end of standard input.</summary>
    public static void WaitForEnd()
    {
        while (Console.In.Read() >= 0)
        {
        }
    }

    /// <summary>Ends this process at the end of standard input.</summary>
    public static void EndWithInput() => new Thread(() =>
    {
        WaitForEnd();
        Environment.Exit(0);
    }) { IsBackground = true }.Start();
}
